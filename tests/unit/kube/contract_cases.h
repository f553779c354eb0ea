// The whole contract of contract.h: the list that runs against the fake API server and a real one.
#pragma once

#include "unit/kube/contract.h"
#include "unit/kube/contract_controllers.h"
#include "unit/kube/contract_refusals.h"
#include "unit/kube/contract_things.h"

namespace imagebuild::kube {

inline std::vector<ApiCase> api_cases() {
  using namespace contract;
  return {
      {"CreatesAndGets", creates_and_gets},
      {"SaysWhatIsMissing", says_what_is_missing},
      {"TellsATakenNameFromAConflict", tells_a_taken_name_from_a_conflict},
      {"MakesNamesFromAPrefix", makes_names_from_a_prefix},
      {"RefusesAnUpdateWithoutAVersionWhereVersionsMatter", refuses_an_update_without_a_version_where_versions_matter},
      {"ListsInPages", lists_in_pages},
      {"SelectsByLabel", selects_by_label},
      {"Patches", patches},
      {"AppliesAndOwnsFields", applies_and_owns_fields},
      {"RemovesFieldsThatAreNotAppliedAnyMore", removes_fields_that_are_not_applied_any_more},
      {"DeletesOnlyWhatWasMeant", deletes_only_what_was_meant},
      {"KeepsWhatHasAFinalizer", keeps_what_has_a_finalizer},
      {"WatchesFromAListOn", watches_from_a_list_on},
      {"EndsAWatchAtItsTimeout", ends_a_watch_at_its_timeout},
      {"ReportsAVersionOfLongAgo", reports_a_version_of_long_ago},
      {"StoresMicroTimesAsWritten", stores_micro_times_as_written},
      {"KeepsSpecAndStatusApart", keeps_spec_and_status_apart},
      {"CountsGenerationsOfTheSpecOnly", counts_generations_of_the_spec_only},
      {"ChangesNothingForAWriteThatChangesNothing", changes_nothing_for_a_write_that_changes_nothing},
      {"AppliesACustomResourceTwiceWithoutADifference", applies_a_custom_resource_twice_without_a_difference},
      {"RefusesAStrategicMergeOfACustomResource", refuses_a_strategic_merge_of_a_custom_resource},
      {"SaysThatAVersionIsGone", says_that_a_version_is_gone},
      {"NamesTheFieldThatIsWrong", names_the_field_that_is_wrong},
      {"RefusesAPatchThatDoesNotFit", refuses_a_patch_that_does_not_fit},
      {"RefusesAPatchOfAnOlderVersion", refuses_a_patch_of_an_older_version},
      {"RefusesAnUpdateMeantForAnotherObject", refuses_an_update_meant_for_another_object},
      {"RefusesADeleteMeantForAnotherVersion", refuses_a_delete_meant_for_another_version},
      {"RefusesAContinueTokenThatItDidNotMake", refuses_a_continue_token_that_it_did_not_make},
      {"RefusesAFieldSelectorThatItDoesNotKnow", refuses_a_field_selector_that_it_does_not_know},
      {"RefusesWhatBelongsElsewhere", refuses_what_belongs_elsewhere},
      {"RefusesToCreateWhatHasAVersion", refuses_to_create_what_has_a_version},
      {"BookmarksMovePastWhatIsNotSelected", bookmarks_move_past_what_is_not_selected},
      {"TellsAnInformerOfEverything", tells_an_informer_of_everything},
      {"LetsOneOfTwoLead", lets_one_of_two_lead},
      {"RecordsEventsAndTheirRepeats", records_events_and_their_repeats},
      {"RemovesWhatAnObjectOwned", removes_what_an_object_owned},
      {"KeepsWhatBecomesAnOrphan", keeps_what_becomes_an_orphan}};
}

}  // namespace imagebuild::kube
